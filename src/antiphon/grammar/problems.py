"""Why there is no grammar for a schema."""

from __future__ import annotations


class InvalidSchema(Exception):
    """What is wrong, in words that may be shown to whoever sent it; they quote names of keywords alone."""

    function: str | None = None
    """The function of which it is the schema, if it is of one."""


class Unsupported(InvalidSchema):
    """It is a schema, and asks for something that no grammar here can hold to."""
