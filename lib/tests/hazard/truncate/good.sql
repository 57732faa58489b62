create table s.staging as select * from s.pipe;
truncate s.staging;
