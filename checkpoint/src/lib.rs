//! Checkpoints of drifting generators: architecture, weights, atomic files.
