"""The battery for a GPU: parts made of steps, each a process with a time limit, and the page of what they found."""
