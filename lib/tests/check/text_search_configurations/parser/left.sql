create text search configuration c (parser = p);
