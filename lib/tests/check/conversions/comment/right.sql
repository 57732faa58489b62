comment on conversion c is 'two';
