"""Child processes: how they are started, spoken to, watched and ended, here and in all that is built on this."""
