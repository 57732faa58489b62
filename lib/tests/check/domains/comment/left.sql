comment on domain d is 'one';
