comment on cast (c as integer) is 'one';
