create role pum_leaving;
drop owned by pum_leaving;
drop role pum_leaving;
