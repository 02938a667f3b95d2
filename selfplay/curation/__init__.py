"""Gates between a parsed prompt and a usable one."""
