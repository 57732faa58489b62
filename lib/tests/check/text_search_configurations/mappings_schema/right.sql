alter text search configuration c add mapping for word with simple;
