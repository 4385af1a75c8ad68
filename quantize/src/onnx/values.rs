//! Where the values of a graph are in the file, and in which order their numbers lie.

use super::network::{Name, Network};
use crate::graph::{Graph, ValueId};

/// Order of a value's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `[positions, channels]`.
    Rows,
    /// `[1, height, width, channels]`, as users see pictures.
    Picture,
    /// `[1, channels, height, width]`.
    Map,
}

/// Every value in the orders in which it has been needed so far.
pub struct Values {
    shapes: Vec<[usize; 3]>,
    names: Vec<Vec<(Order, Name)>>,
}

impl Values {
    /// Nothing is made yet.
    pub fn new(graph: &Graph) -> Self {
        Self { shapes: graph.values.clone(), names: vec![Vec::new(); graph.values.len()] }
    }

    /// Says where a value is.
    pub fn set(&mut self, value: ValueId, order: Order, name: Name) {
        self.names[value] = vec![(order, name)];
    }

    /// The order in which a value was made.
    pub fn first_order(&self, value: ValueId) -> Order {
        self.names[value].first().map_or(Order::Rows, |(order, _)| *order)
    }

    /// The name of a value in an order; reorders it at its first use.
    pub fn get(&mut self, network: &mut Network, value: ValueId, order: Order) -> Name {
        if let Some((_, name)) = self.names[value].iter().find(|(made, _)| *made == order) {
            return name.clone();
        }
        let [height, width, channels] = self.shapes[value];
        let from = |values: &mut Self, network: &mut Network, order| values.get(network, value, order);
        // Rows and maps become each other by way of pictures. One channel or one position lies the same in every order.
        let flat = channels == 1 || height * width == 1;
        let name = match (order, self.first_order(value)) {
            (Order::Rows, _) => {
                let picture = from(self, network, Order::Picture);
                network.reshaped(&picture, &[height * width, channels])
            }
            (Order::Picture, Order::Map) => {
                let map = from(self, network, Order::Map);
                match flat {
                    true => network.reshaped(&map, &[1, height, width, channels]),
                    false => network.transposed(&map, &[0, 2, 3, 1]),
                }
            }
            (Order::Picture, _) => {
                let rows = from(self, network, Order::Rows);
                network.reshaped(&rows, &[1, height, width, channels])
            }
            (Order::Map, _) => {
                let picture = from(self, network, Order::Picture);
                match flat {
                    true => network.reshaped(&picture, &[1, channels, height, width]),
                    false => network.transposed(&picture, &[0, 3, 1, 2]),
                }
            }
        };
        self.names[value].push((order, name.clone()));
        name
    }

    /// Replaces a value by a function of it.
    pub fn function(&mut self, network: &mut Network, value: ValueId, op: &str) {
        let order = self.first_order(value);
        let x = self.get(network, value, order);
        let y = network.node(op, &[&x], &[]);
        self.set(value, order, y);
    }

    /// Makes a value a result of the network: a picture, or a vector `[1, n]`.
    pub fn give(&mut self, network: &mut Network, value: ValueId, name: &str, what: &str) {
        let [height, width, channels] = self.shapes[value];
        let (order, shape) = match height * width {
            1 => (Order::Rows, vec![1, channels]),
            _ => (Order::Picture, vec![1, height, width, channels]),
        };
        let found = self.get(network, value, order);
        network.rename(&found, name);
        self.set(value, order, name.into());
        network.output(name, &shape, what);
    }
}
