update s.pipe set code = upper(code), (zone, label) = (1, 'x');
