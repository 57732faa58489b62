alter table s.pipe drop column code;
