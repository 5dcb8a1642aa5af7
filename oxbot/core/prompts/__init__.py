"""What is said to language models: versioned templates, rendered purely from a snapshot."""

from oxbot.core.prompts.message import Message
from oxbot.core.prompts.rendering import render, static_part

__all__ = ["Message", "render", "static_part"]
