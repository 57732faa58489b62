comment on domain d is 'two';
