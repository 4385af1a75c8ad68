//! Frechet distance with confidence intervals, and reports.
