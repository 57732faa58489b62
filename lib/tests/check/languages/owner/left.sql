alter language l owner to pum_a;
