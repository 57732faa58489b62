comment on constraint d_not_null on domain d is 'one';
