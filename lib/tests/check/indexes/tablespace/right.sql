alter index i set tablespace pum_space;
