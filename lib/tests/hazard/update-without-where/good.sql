update s.pipe set code = upper(code) where id = 1;
