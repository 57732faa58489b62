grant select on v to public;
