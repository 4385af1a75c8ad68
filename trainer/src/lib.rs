//! Trainer for drifting models, on Burn.
