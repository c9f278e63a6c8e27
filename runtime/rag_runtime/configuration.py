"""Reads a configuration document, and says what is wrong with it by the names of its fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from rag_runtime.contract.config import IngestConfig, ServeConfig, UnknownContractError, check_version

KINDS: dict[str, type[IngestConfig] | type[ServeConfig]] = {"Ingest": IngestConfig, "Serve": ServeConfig}


class UnusableConfigurationError(ValueError):
    """The document can't be used. The text has one sentence a line, each beginning with the field's name."""


def load(path: Path) -> IngestConfig | ServeConfig:
    """The document in a YAML or JSON file. Raises UnusableConfigurationError."""
    try:
        raw = _parsed(path.read_text("utf-8"))
    except OSError as error:
        raise UnusableConfigurationError(f"--config: {path} can't be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UnusableConfigurationError(f"--config: {path} is neither YAML nor JSON ({_first_line(error)})") from error
    if not isinstance(raw, dict):
        raise UnusableConfigurationError(f"--config: {path} must hold a mapping of fields")
    return validate(raw)


def _parsed(text: str) -> Any:
    """JSON by its own rules: YAML takes the two halves of an escaped emoji for two characters, and neither is one."""
    try:
        return json.loads(text)
    except ValueError:
        return yaml.safe_load(text)


def validate(raw: dict[str, Any]) -> IngestConfig | ServeConfig:
    """A document as read from YAML or JSON. Raises UnusableConfigurationError."""
    try:
        check_version(raw)
    except UnknownContractError as error:
        raise UnusableConfigurationError(str(error)) from error
    kind = raw.get("kind")
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise UnusableConfigurationError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    try:
        config = model.model_validate(raw)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, one['loc'])) or 'document'}: {one['msg']}" for one in error.errors()]
        raise UnusableConfigurationError("\n".join(lines)) from error
    if isinstance(config, IngestConfig):
        _check_ingest(config)
    return config


def _check_ingest(config: IngestConfig) -> None:
    """Rules that hold between fields."""
    problems = []
    names = [source.name for source in config.sources]
    problems += [
        f"sources: the name {name!r} is used twice" for name in sorted({n for n in names if names.count(n) > 1})
    ]
    size, fits = config.shape.chunking.size, config.shape.profile.max_input_tokens
    if size > fits:
        problems.append(
            f"shape.chunking.size: {size} tokens are more than the {fits} that {config.shape.profile.model} takes; "
            f"state {fits} or less"
        )
    problems += [
        f"profiles.{key}: its identity is {profile.identity}; state it under that name"
        for key, profile in config.profiles.items()
        if key != profile.identity
    ]
    if problems:
        raise UnusableConfigurationError("\n".join(problems))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
