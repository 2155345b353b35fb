"""Studies on a virtual clock: tables of learning curves, and rules that decide what trains next."""
