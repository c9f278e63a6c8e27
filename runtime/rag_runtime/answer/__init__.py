"""The query path: stages from a question to an answer, each with its deadline, metric and fallback."""
