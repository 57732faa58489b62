create text search configuration c (copy = simple);
alter text search configuration c drop mapping for asciiword;
alter text search configuration c add mapping for asciiword with simple;
