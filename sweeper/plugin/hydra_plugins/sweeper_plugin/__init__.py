"""Hydra plugins `hydra/sweeper=sweeper` and `hydra/launcher=local`: thin shims, light to import."""
