"""What Redis keeps for the query path: exact answers, question embeddings, newest versions. All of it may vanish."""
