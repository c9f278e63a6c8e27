"""The HTTP API's bodies: what a request may say and what a response says. The OpenAPI document is made of these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_QUESTION = 4000
MAX_TOP_K = 50
MAX_MESSAGES = 50

QuestionText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_QUESTION)]
TopK = Annotated[int, Field(ge=1, le=MAX_TOP_K)]


class Body(BaseModel):
    """A request of ours: closed, so that a misspelt field is told and not ignored."""

    model_config = ConfigDict(extra="forbid")


class SearchRequest(Body):
    """`POST /v1/search`."""

    question: QuestionText
    top_k: TopK | None = None


class QueryRequest(SearchRequest):
    """`POST /v1/query`."""

    stream: bool = False


class SourceBody(BaseModel):
    """A passage that an answer rests on. `score`: cosine similarity, or without a vector the share of words matched."""

    n: int
    title: str
    uri: str
    source: str
    path: str
    heading: str
    score: float
    text: str


class Facts(BaseModel):
    """What both answers and searches say of themselves."""

    request_id: str
    tenant: str
    revision: int
    version: int
    retrieval_count: int
    degraded: bool
    degraded_reasons: list[str]
    latency_ms: float
    timings: dict[str, float]


class SearchResponse(Facts):
    """Passages, best first."""

    sources: list[SourceBody]


class QueryResponse(Facts):
    """An answer with its sources. `model` is null when no model was asked: nothing relevant was found."""

    answer: str
    sources: list[SourceBody]
    from_cache: bool
    model: str | None


class ErrorDetail(BaseModel):
    """`type` for machines, `message` for people, `field` where one field is to blame."""

    type: str
    message: str
    field: str | None = None


class ErrorResponse(BaseModel):
    """Every status from 400 on."""

    error: ErrorDetail


class ContentPart(BaseModel):
    """A part of a message's content; only text is understood."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """A message. System and developer messages are accepted and not used: the pipeline's own prompt holds."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[ContentPart]

    def plain(self) -> str:
        """The content as one text."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    """`include_usage`: a last chunk carries the usage."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class ChatRequest(BaseModel):
    """`POST /v1/chat/completions`, OpenAI's; further fields (temperature, …) are accepted and not used."""

    model_config = ConfigDict(extra="ignore")

    model: str = ""
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    stream: bool = False
    stream_options: StreamOptions | None = None


class ReplyMessage(BaseModel):
    """The assistant's message."""

    role: Literal["assistant"] = "assistant"
    content: str


class ChatChoice(BaseModel):
    """The one choice."""

    index: int = 0
    message: ReplyMessage
    finish_reason: str


class ChatUsage(BaseModel):
    """Tokens as the model counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatResponse(BaseModel):
    """OpenAI's `chat.completion`; `sources` and `rag` are ours."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage
    sources: list[SourceBody]
    rag: dict[str, Any]


class Model(BaseModel):
    """One entry of the list of models."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "rag-operator"


class ModelList(BaseModel):
    """`GET /v1/models`."""

    object: Literal["list"] = "list"
    data: list[Model]
