"""A language model that makes its own problems, solves them, checks the answers and learns from the verdicts."""

import os

__version__ = "0.1.0"

UNHEARD = {
    # TRL's trainers, transformers, datasets, trackio, and whatever else asks huggingface_hub.
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    # vLLM, and all that heed consoledonottrack.com.
    "DO_NOT_TRACK": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "GRADIO_ANALYTICS_ENABLED": "False",
    # Crash reports about a user's run to the makers of wandb.
    "WANDB_ERROR_REPORTING": "false",
}
"""No library tells its makers of a run. Set before any of them is imported, here and so in every child process, unless
the user has said otherwise; `docs/explanation/security.md` has the list."""

for _name, _value in UNHEARD.items():
    os.environ.setdefault(_name, _value)
