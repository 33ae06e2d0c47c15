//! What things cost, from the file that `bench` writes.

use super::schema;
use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_json::{Number, Value};

/// The measurements, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    /// One a row of the file.
    pub rows: Vec<Row>,
}

/// A measurement.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Row {
    /// The variant, where it depends on that.
    pub variant: Option<String>,
    /// What was measured.
    pub measure: String,
    /// In which unit.
    pub unit: String,
    /// How much.
    pub value: Number,
}

impl Row {
    /// The value, for drawing.
    #[must_use]
    pub fn amount(&self) -> f64 {
        self.value.as_f64().unwrap_or(0.0).max(0.0)
    }

    /// The variant, or an empty name.
    #[must_use]
    pub fn variant(&self) -> &str {
        self.variant.as_deref().unwrap_or_default()
    }
}

impl Costs {
    /// Reads the file.
    ///
    /// # Errors
    /// When it has another form, or no row.
    pub fn read(file: &Value) -> Result<Costs> {
        let rows: Vec<Row> = schema(file, "rows")?;
        ensure!(!rows.is_empty(), "there is no row in it");
        Ok(Costs { rows })
    }

    /// The variants that have any of these measures, in the order of the file.
    #[must_use]
    pub fn variants(&self, measures: &[&str]) -> Vec<&str> {
        let mut names = Vec::new();
        for row in &self.rows {
            let name = row.variant();
            if measures.contains(&row.measure.as_str())
                && !name.is_empty()
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        names
    }

    /// A measurement of a variant.
    #[must_use]
    pub fn of(&self, variant: &str, measure: &str) -> Option<&Row> {
        let mut rows = self.rows.iter();
        rows.find(|row| row.variant() == variant && row.measure == measure)
    }

    /// The rows with a variant and this measure.
    pub fn measured<'a>(&'a self, measure: &'a str) -> impl Iterator<Item = &'a Row> + Clone {
        let rows = self.rows.iter();
        rows.filter(move |row| row.measure == measure && !row.variant().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_are_found_by_variant_and_measure() {
        let file = json!({"schema": 1, "rows": [
            {"variant": "v", "measure": "settled", "unit": "instructions", "value": 20},
            {"variant": null, "measure": "settled", "unit": "instructions", "value": 7},
            {"measure": "rest", "unit": "cycles", "value": 2.5},
        ]});
        let costs = Costs::read(&file).unwrap();
        assert_eq!(costs.variants(&["settled", "rest"]), ["v"]);
        assert_eq!(costs.of("v", "settled").map(Row::amount), Some(20.0));
        assert_eq!(costs.of("v", "rest"), None);
        assert_eq!(costs.measured("settled").count(), 1);
        assert_eq!(costs.rows[2].value.to_string(), "2.5");
    }

    #[test]
    fn another_form_is_refused() {
        for file in [
            json!({"schema": 1, "rows": []}),
            json!({"schema": 1}),
            json!({"rows": [{"measure": "m", "unit": "u", "value": 1}]}),
            json!({"schema": 1, "rows": [{"measure": "m", "unit": "u", "value": "1"}]}),
        ] {
            assert!(Costs::read(&file).is_err(), "{file}");
        }
    }
}
