comment on transform for integer language sql is 'one';
