comment on constraint c on domain d is 'two';
