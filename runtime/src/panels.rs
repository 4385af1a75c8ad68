//! The order of the weights of dense filters in a file: as matrix kernels of every instruction set read them, so that weights
//! are used in place and never packed at run time.

/// Output channels side by side in a panel; the last panel of a filter may have fewer.
pub const PANEL: usize = 16;

/// Terms of one output side by side in int8 filters; input channels are filled up with zeros to a multiple of it.
pub const QUAD: usize = 4;

/// Terms of one output that share a multiplier in filters of 4 bits: four groups.
pub const SHARE: usize = 4 * QUAD;

/// Order of a filter: panels of up to [`PANEL`] outputs; in a panel, groups of terms; in a group, its outputs; of each, the
/// group's terms. Terms run over kernel rows, kernel columns and input channels.
#[derive(Clone, Copy, Debug)]
pub struct Panels {
    /// Output channels.
    pub outputs: usize,
    /// Terms of one output, a multiple of `group`.
    pub terms: usize,
    /// Terms of one output side by side: [`QUAD`] in int8 filters, 1 in float filters.
    pub group: usize,
}

impl Panels {
    /// Outputs of a panel.
    pub fn width(&self, panel: usize) -> usize {
        PANEL.min(self.outputs - panel * PANEL)
    }

    /// Where the panel begins.
    pub fn start(&self, panel: usize) -> usize {
        panel * PANEL * self.terms
    }

    /// Where the weight of an output and a term lies.
    ///
    /// ```
    /// use driftlet_runtime::panels::Panels;
    /// let filter = Panels { outputs: 20, terms: 8, group: 4 };
    /// assert_eq!([filter.at(0, 1), filter.at(1, 0), filter.at(0, 4), filter.at(17, 4)], [1, 4, 64, 148]);
    /// ```
    pub fn at(&self, output: usize, term: usize) -> usize {
        let panel = output / PANEL;
        let group = term / self.group * self.width(panel) + output % PANEL;
        self.start(panel) + group * self.group + term % self.group
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_has_a_place_of_its_own() {
        for (outputs, terms, group) in [(1, 4, 4), (16, 12, 4), (37, 8, 4), (37, 5, 1), (3, 1, 1)] {
            let panels = Panels { outputs, terms, group };
            let mut places: Vec<_> = (0..outputs).flat_map(|o| (0..terms).map(move |t| panels.at(o, t))).collect();
            places.sort_unstable();
            assert!(places.into_iter().eq(0..outputs * terms), "{panels:?}");
        }
    }
}
