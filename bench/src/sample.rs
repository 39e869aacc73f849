//! Times of many runs, and what is said of them.

use std::time::Duration;

/// Measured times.
#[derive(Default)]
pub struct Sample(Vec<Duration>);

impl Sample {
    /// Adds one.
    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that `percent` of the runs did not exceed (nearest rank), in milliseconds; `None`
    /// without runs.
    pub fn percentile(&self, percent: u32) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent as usize).div_ceil(100).max(1);
        sorted.get(rank - 1).map(|t| t.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut sample = Sample::default();
        assert_eq!(sample.percentile(50), None);
        for ms in [5, 1, 4, 2, 3] {
            sample.push(Duration::from_millis(ms));
        }
        let near = |percent, ms: f64| (sample.percentile(percent).unwrap() - ms).abs() < 1e-9;
        assert!(near(50, 3.0) && near(95, 5.0) && near(1, 1.0) && near(100, 5.0));
    }
}
