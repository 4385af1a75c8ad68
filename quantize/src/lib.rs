//! From a checkpoint to a .drift file: graph, calibration, integers, memory plan.
