alter index k set tablespace pum_space;
