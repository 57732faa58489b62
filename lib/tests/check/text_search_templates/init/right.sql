create text search template t (init = f, lexize = dsimple_lexize);
