"""The models on this machine: what is here, how it gets here, and how it leaves."""
