"""What of a chat request is the question, and what the conversation before it."""

from __future__ import annotations

import pytest

from rag_runtime.answer.errors import InvalidFieldError
from rag_runtime.models.ports import Turn
from rag_runtime.serve.chat import conversation
from rag_runtime.serve.schemas import ChatRequest


def request(*messages: tuple[str, str]) -> ChatRequest:
    return ChatRequest.model_validate({"messages": [{"role": role, "content": text} for role, text in messages]})


def test_the_last_message_is_the_question_and_system_messages_are_left_out() -> None:
    question, history = conversation(request(("system", "s"), ("user", "a"), ("assistant", "b"), ("user", " c ")))
    assert question == "c"
    assert history == (Turn("user", "a"), Turn("assistant", "b"))


@pytest.mark.parametrize("messages", [[("assistant", "a")], [("user", " ")], [("user", "x" * 4001)]])
def test_what_is_no_question_names_messages(messages: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidFieldError, match="messages") as caught:
        conversation(request(*messages))
    assert caught.value.field == "messages"


def test_parts_of_text_are_one_text() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    body = ChatRequest.model_validate({"messages": [{"role": "user", "content": parts}]})
    assert conversation(body)[0] == "a\nb"
