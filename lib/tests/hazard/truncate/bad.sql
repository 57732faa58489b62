truncate s.pipe, s.reading_2024;
