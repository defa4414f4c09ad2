//! Rows under each other, in columns.

/// Lines with columns as wide as their widest cell, two spaces apart. Each line ends with a line break.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_where_they_end() {
        let rows = [["peer", "lag"], ["ännchen", "1"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "peer     lag\nännchen  1\n");
        assert_eq!(table(&[]), "");
    }
}
