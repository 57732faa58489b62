comment on cast (c as integer) is 'two';
