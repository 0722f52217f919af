//! Text in columns.

use std::fmt;

/// Rows under headings, each perhaps with lines below it.
#[derive(Clone, Debug)]
pub struct Table {
    headings: Vec<&'static str>,
    rows: Vec<(Vec<String>, Vec<String>)>,
}

impl Table {
    /// A table without rows.
    pub fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row, and what is said below it.
    pub fn push(&mut self, cells: Vec<String>, below: Vec<String>) {
        self.rows.push((cells, below));
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|(cells, _)| cells.get(column));
            let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            widest.max(self.headings[column].len())
        };
        (0..self.headings.len()).map(width).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let line = |f: &mut fmt::Formatter<'_>, cells: &mut dyn Iterator<Item = &str>| {
            let cells = cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())
        };
        line(f, &mut self.headings.iter().copied())?;
        let indent = widths.first().map_or(0, |width| width + 2);
        for (cells, below) in &self.rows {
            line(f, &mut cells.iter().map(String::as_str))?;
            for text in below.iter().flat_map(|text| text.lines()) {
                writeln!(f, "{:indent$}{text}", "")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_nothing_trails() {
        let mut table = Table::new(&["WHAT", "NAME"]);
        table.push(vec!["a".into(), "longer".into()], vec!["below\n  it".into()]);
        table.push(vec!["insert".into(), "b".into()], vec![]);
        assert_eq!(
            table.to_string(),
            "WHAT    NAME\na       longer\n        below\n          it\ninsert  b\n"
        );
    }
}
