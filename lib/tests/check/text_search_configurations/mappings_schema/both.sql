create schema s;
create text search dictionary s.simple (template = simple);
create text search configuration c (parser = "default");
