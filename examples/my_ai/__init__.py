"""A friendly chatbot with a persona and a memory, which writes haiku."""
