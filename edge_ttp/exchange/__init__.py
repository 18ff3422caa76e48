"""Other people's formats (mail, conversations, CSV, git, Markdown, JSON lines) and items. Knows no SQL."""
