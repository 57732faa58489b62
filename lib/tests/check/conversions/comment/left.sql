comment on conversion c is 'one';
