//! Tables in Markdown, as they stand in the documentation.

/// Rows with a name each, and a column for each of what is compared.
#[derive(Default)]
pub(crate) struct Table {
    columns: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    /// A further column. Rows that are not known yet begin with it.
    pub(crate) fn column(&mut self, name: &str, cells: Vec<(String, String)>) {
        for (row, cell) in cells {
            let known = self.rows.iter().position(|(known, _)| *known == row);
            let at = known.unwrap_or_else(|| {
                self.rows.push((row, Vec::new()));
                self.rows.len() - 1
            });
            let (_, row) = &mut self.rows[at];
            row.resize(self.columns.len(), String::new());
            row.push(cell);
        }
        self.columns.push(name.to_owned());
    }

    pub(crate) fn print(&self, title: &str) {
        println!("\n{title}\n");
        println!("| | {} |", self.columns.join(" | "));
        println!("|---|{}", "---|".repeat(self.columns.len()));
        for (name, cells) in &self.rows {
            let mut cells = cells.clone();
            cells.resize(self.columns.len(), String::new());
            println!("| {name} | {} |", cells.join(" | "));
        }
    }
}

pub(crate) fn count_of_nodes(number: usize) -> String {
    match number {
        1 => "1 node".to_owned(),
        _ => format!("{number} nodes"),
    }
}

/// What so much of something is for each of so many.
pub(crate) fn each(amount: f64, number: f64, digits: usize) -> String {
    format!("{:.digits$}", amount / number)
}

/// The value that this share of all is below.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at).copied().unwrap_or(0.0)
}
