"""The page that explains a run: template, style, script, and what fills them. Only the stages import it."""
