"""The REST interface: reads views, appends commands, holds no trading state."""
