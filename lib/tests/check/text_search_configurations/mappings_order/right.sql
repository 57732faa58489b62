alter text search configuration c add mapping for word with english_stem, simple;
